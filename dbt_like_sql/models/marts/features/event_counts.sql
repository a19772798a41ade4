-- depends_on: {{ source('lake', 'cohort_feature') }}
with patient as (
  select patient_id from {{ ref('cohort') }}
  union
  select patient_id from {{ ref('scoring_population') }}
),
counted as (
  select patient_id, feature, count from {{ ref('int_event_counts') }}
  {%- if var('cohort_mode') == 'supplied' %}
  union all
  select patient_id, 'supplied|' || feature, value from {{ source('lake', 'cohort_feature') }}
  {%- endif %}
)
select counted.patient_id, counted.feature, counted.count
from counted
semi join patient using (patient_id)
order by counted.patient_id, counted.feature
