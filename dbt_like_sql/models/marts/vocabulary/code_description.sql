with recorded as (
  select kind, code_system, code, lookup_code
  from {{ ref('int_recorded_codes') }}
  where kind in ('diagnosis', 'procedure')
),
known as (
  select code_system, lookup_code, description, 'site' as origin from {{ ref('stg_site_description') }}
  union all
  select code_system, lookup_code, description, 'packaged'
  from {{ ref('stg_packaged_description') }}
  anti join {{ ref('stg_site_description') }} using (code_system, lookup_code)
),
direct as (
  select recorded.kind, recorded.code_system, recorded.code, known.description, known.origin
  from recorded
  join known using (code_system, lookup_code)
),
-- ICD codes are hierarchical from left to right; in ICD-10-PCS a shorter code has no title.
shortest (code_system, characters) as (
  values ('ICD-10-CM', 3), ('ICD-9-CM', 3), ('ICD-9-PCS', 2)
),
parent as (
  select recorded.kind, recorded.code_system, recorded.code, known.description, 'parent' as origin
  from (
    select
      recorded.*,
      left(lookup_code, unnest(range(shortest.characters, length(lookup_code)))) as prefix
    from recorded
    join shortest using (code_system)
    anti join direct using (kind, code_system, code)
  ) as recorded
  join known on known.code_system = recorded.code_system and known.lookup_code = recorded.prefix
  qualify row_number() over (
    partition by recorded.kind, recorded.code_system, recorded.code order by length(prefix) desc
  ) = 1
)
select * from direct
union all
select * from parent
union all
select 'medication', code_system, code, drug_name, origin
from {{ ref('int_medication_code') }}
where drug_name is not null
order by kind, code_system, code
