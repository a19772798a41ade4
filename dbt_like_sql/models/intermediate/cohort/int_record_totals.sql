select
  patient_id,
  count(*) filter (kind = 'diagnosis') as diagnosis,
  count(*) filter (kind = 'procedure') as procedure,
  count(*) filter (kind = 'medication') as medication
from {{ ref('int_history') }}
where kind <> 'lab_result'
group by patient_id
order by patient_id
