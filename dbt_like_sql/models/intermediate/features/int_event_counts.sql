-- Features are written once a distinct code and grouped by their number: as text, once a record, they
-- made this the slowest model. Numbers are in the order of the features.
with coded as (
  select
    recorded.kind,
    recorded.code_system,
    recorded.code,
    case
      when recorded.kind = 'medication' then 'medication|' || coalesce(
        'RxNorm|' || {{ "coalesce(drug.ingredient_rxcui, drug.rxcui)" if var('medication_name') == 'ingredient' else "drug.rxcui" }},
        recorded.code_system || '|' || recorded.lookup_code
      )
      else recorded.kind || '|' || recorded.code_system || '|'
        || {{ icd_category('recorded.code_system', 'recorded.lookup_code') if var('roll_up_icd') else 'recorded.lookup_code' }}
    end as feature
  from {{ ref('int_recorded_codes') }} as recorded
  left join {{ ref('int_medication_code') }} as drug
    on recorded.kind = 'medication'
    and drug.code_system = recorded.code_system
    and drug.code = recorded.code
  where recorded.kind <> 'lab_result'
),
counted_code as (
  select kind, code_system, code, feature, dense_rank() over (order by feature) as number
  from coded
),
occurrence as (
  select history.patient_id, history.days_before, counted_code.number
  from {{ ref('int_history') }} as history
  join counted_code using (kind, code_system, code)
),
counted as (
  select patient_id, number, '' as ending, cast(count(*) as double) as count
  from occurrence
  group by patient_id, number
  {%- for days in var('look_back_days') %}
  union all
  select patient_id, number, '|last-{{ days }}', cast(count(*) as double)
  from occurrence
  where days_before <= {{ days }}
  group by patient_id, number
  {%- endfor %}
),
named as (
  select distinct number, feature from counted_code
)
select counted.patient_id, named.feature || counted.ending as feature, counted.count
from counted
join named using (number)
{#- An ending may sort a feature behind one that begins with it. -#}
{%- if var('look_back_days') %}
order by counted.patient_id, feature
{%- else %}
order by counted.patient_id, counted.number
{%- endif %}
