with recorded as (
  select kind, code_system, code, code_system as match_system, lookup_code as match_code
  from {{ ref('int_recorded_codes') }}
  union
  -- A drug also counts by its RxNorm concept and by its ingredient, however it was recorded.
  select 'medication', drug.code_system, drug.code, 'RxNorm', upper(concept.rxcui)
  from {{ ref('int_medication_code') }} as drug,
    unnest([drug.rxcui, drug.ingredient_rxcui]) as concept (rxcui)
  where concept.rxcui is not null
)
select distinct listed.list, recorded.kind, recorded.code_system, recorded.code
from recorded
join {{ source('lake', 'code_list') }} as listed
  on listed.code_system = recorded.match_system
  and (
    listed.code = recorded.match_code
    or (listed.match = 'prefix' and starts_with(recorded.match_code, listed.code))
  )
order by all
