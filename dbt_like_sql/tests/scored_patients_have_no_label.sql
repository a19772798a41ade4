{{ config(meta={'dagster': {'ref': {'name': 'scoring_population'}}}) }}
select scored.patient_id
from {{ ref('scoring_population') }} as scored
join {{ ref('index_events') }} as index_event using (patient_id)
left join {{ ref('cohort') }} as cohort using (patient_id)
where cohort.label is not null or index_event.outcome_date is not null
