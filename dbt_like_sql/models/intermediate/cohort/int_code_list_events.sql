select
  listed.list,
  record.patient_id,
  record.kind,
  record.date,
  record.value_number,
  record.value_text,
  record.said_number,
  record.comparator,
  record.word,
  record.source_row
from {{ ref('stg_records') }} as record
join {{ ref('int_listed_codes') }} as listed using (kind, code_system, code)
order by listed.list, record.patient_id, record.date, record.kind, record.source_row
