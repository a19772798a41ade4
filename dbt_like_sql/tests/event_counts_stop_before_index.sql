{{ config(meta={'dagster': {'ref': {'name': 'int_event_counts'}}}) }}
with allowed as (
  select record.patient_id, record.kind, count(*) as records
  from {{ ref('stg_records') }} as record
  join {{ ref('index_events') }} as index_event using (patient_id)
  where record.date < index_event.index_date
  group by record.patient_id, record.kind
),
counted as (
  select patient_id, split_part(feature, '|', 1) as kind, sum(count) as records
  from {{ ref('int_event_counts') }}
  where not regexp_matches(feature, '\|last-\d+$')
  group by all
)
select counted.patient_id
from counted
left join allowed using (patient_id, kind)
where counted.records > coalesce(allowed.records, 0)
