select
  kind,
  code_system,
  code,
  {{ comparable_code('code_system', 'code') }} as lookup_code,
  count(*) as records
from {{ ref('stg_records') }}
group by all
order by kind, code_system, code
