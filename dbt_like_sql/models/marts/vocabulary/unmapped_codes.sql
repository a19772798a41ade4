select kind, code_system, code, records
from {{ ref('int_recorded_codes') }}
anti join {{ ref('code_description') }} using (kind, code_system, code)
where kind <> 'lab_result'
order by records desc, kind, code_system, code
