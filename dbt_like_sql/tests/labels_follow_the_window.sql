{{ config(meta={'dagster': {'ref': {'name': 'cohort'}}}) }}
select cohort.patient_id
from {{ ref('cohort') }} as cohort
join {{ ref('index_events') }} as index_event using (patient_id)
where cohort.label is distinct from case
  when index_event.outcome_date - cohort.index_date between {{ var('buffer_period') + 1 }} and {{ var('follow_up_period') }}
    then 1
  when index_event.outcome_date - cohort.index_date > {{ var('follow_up_period') }} then 0
  when index_event.outcome_date is null
    and index_event.last_record_date - cohort.index_date > {{ var('follow_up_period') }} then 0
end
