with patient as (
  select patient_id from {{ ref('cohort') }}
  union
  select patient_id from {{ ref('scoring_population') }}
)
select measured.patient_id, measured.feature, measured.value
from {{ ref('int_latest_measurement') }} as measured
semi join patient using (patient_id)
order by measured.patient_id, measured.feature
