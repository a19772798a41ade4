{{ config(meta={'dagster': {'ref': {'name': 'int_latest_measurement'}}}) }}
select measured.patient_id
from {{ ref('int_latest_measurement') }} as measured
anti join (
  select record.patient_id, record.value_number as value
  from {{ ref('stg_records') }} as record
  join {{ ref('index_events') }} as index_event using (patient_id)
  where record.kind = 'lab_result' and record.date < index_event.index_date
) using (patient_id, value)
