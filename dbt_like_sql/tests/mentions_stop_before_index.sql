{{ config(meta={'dagster': {'ref': {'name': 'concept_mentions'}}}) }}
-- Recomputed from the records alone: a mention needs a record of its kind on its day, before the index date.
with allowed as (
  select distinct
    record.patient_id,
    record.kind,
    date_diff('day', record.date, index_event.index_date) as days_before
  from {{ ref('stg_records') }} as record
  join {{ ref('index_events') }} as index_event using (patient_id)
  where record.date < index_event.index_date
)
select mention.patient_id
from {{ ref('concept_mentions') }} as mention
anti join allowed using (patient_id, kind, days_before)
