select
  code_system,
  {{ comparable_code('code_system', 'code') }} as lookup_code,
  min(description) as description
from {{ source('lake', 'terminology') }}
where {{ is_meaningful('description') }}
group by all
