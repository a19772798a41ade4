with feature as (
  select
    history.patient_id,
    history.days_before,
    case
      when history.kind = 'medication' then 'medication|' || coalesce(
        'RxNorm|' || {{ "coalesce(drug.ingredient_rxcui, drug.rxcui)" if var('medication_name') == 'ingredient' else "drug.rxcui" }},
        history.code_system || '|' || history.code
      )
      else history.kind || '|' || history.code_system || '|'
        || {{ icd_category('history.code_system', 'recorded.lookup_code') if var('roll_up_icd') else 'recorded.lookup_code' }}
    end as feature
  from {{ ref('int_history') }} as history
  join {{ ref('int_recorded_codes') }} as recorded using (kind, code_system, code)
  left join {{ ref('int_medication_code') }} as drug
    on history.kind = 'medication'
    and drug.code_system = history.code_system
    and drug.code = history.code
  where history.kind <> 'lab_result'
),
counted as (
  select patient_id, feature, cast(count(*) as double) as count
  from feature
  group by patient_id, feature
  {%- for days in var('look_back_days') %}
  union all
  select patient_id, feature || '|last-{{ days }}', cast(count(*) as double)
  from feature
  where days_before <= {{ days }}
  group by patient_id, feature
  {%- endfor %}
)
select patient_id, feature, count
from counted
order by patient_id, feature
