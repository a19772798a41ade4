select patient_id, min(date) as first_record_date, max(date) as last_record_date
from {{ ref('stg_records') }}
group by patient_id
order by patient_id
