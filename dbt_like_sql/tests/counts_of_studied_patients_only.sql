{{ config(meta={'dagster': {'ref': {'name': 'event_counts'}}}) }}
select patient_id
from {{ ref('event_counts') }}
anti join {{ ref('cohort') }} using (patient_id)
anti join {{ ref('scoring_population') }} using (patient_id)
