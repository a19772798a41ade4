-- depends_on: {{ ref('int_recorded_codes') }} {{ ref('index_events') }}
select distinct patient_id, kind, description, days_before
from {{ ref('int_described_history') }}
order by patient_id, kind, description, days_before
