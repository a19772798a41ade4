{{ config(meta={'dagster': {'ref': {'name': 'narratives'}}}) }}
with allowed as (
  select record.patient_id, record.kind, count(*) as records
  from {{ ref('stg_records') }} as record
  join {{ ref('index_events') }} as index_event using (patient_id)
  where record.date < index_event.index_date
  group by record.patient_id, record.kind
)
select narrative.patient_id
from {{ ref('narratives') }} as narrative
left join allowed using (patient_id, kind)
where narrative.records > coalesce(allowed.records, 0)
