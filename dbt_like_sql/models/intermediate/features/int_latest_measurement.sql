-- Numbers in different units are different features: nothing here may convert them.
select
  history.patient_id,
  'lab|' || history.code_system || '|' || recorded.lookup_code
    || coalesce('|' || nullif(lower(trim(history.unit)), ''), '') as feature,
  arg_max(history.value_number, (history.date, history.source_row)) as value
from {{ ref('int_history') }} as history
join {{ ref('int_recorded_codes') }} as recorded using (kind, code_system, code)
where history.kind = 'lab_result' and isfinite(history.value_number)
group by all
order by 1, 2
