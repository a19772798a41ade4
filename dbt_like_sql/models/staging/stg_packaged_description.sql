select code_system, code as lookup_code, description
from {{ source('lake', 'packaged_description') }}
where {{ var('packaged_icd') }} and {{ is_meaningful('description') }}
