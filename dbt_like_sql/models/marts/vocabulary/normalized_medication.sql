select
  medication.patient_id,
  medication.date,
  medication.code_system,
  medication.code,
  drug.rxcui,
  drug.drug_name,
  medication.encounter_id,
  medication.source_row
from {{ source('lake', 'medication') }} as medication
left join {{ ref('int_medication_code') }} as drug using (code_system, code)
order by medication.source_row
