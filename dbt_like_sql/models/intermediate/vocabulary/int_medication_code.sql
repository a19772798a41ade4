with recorded as (
  select code_system, code, lookup_code
  from {{ ref('int_recorded_codes') }}
  where kind = 'medication'
),
from_ndc as (
  -- Ten bare digits may be three codes: taken only when those that exist name one and the same concept.
  select recorded.code_system, recorded.code, min(known.rxcui) as rxcui
  from (
    select code_system, code, unnest({{ ndc_candidates('code') }}) as ndc
    from recorded
    where code_system = 'NDC'
  ) as recorded
  join {{ ref('ndc_to_rxnorm') }} as known using (ndc)
  group by recorded.code_system, recorded.code
  having count(distinct known.rxcui) = 1
),
from_rxnorm as (
  select
    recorded.code_system,
    recorded.code,
    coalesce(concept.current_rxcui, recorded.lookup_code) as rxcui
  from recorded
  left join {{ ref('int_rxnorm_current') }} as concept on concept.rxcui = recorded.lookup_code
  where recorded.code_system = 'RxNorm'
),
concept as (
  select * from from_ndc
  union all
  select * from from_rxnorm
)
select
  recorded.code_system,
  recorded.code,
  recorded.lookup_code,
  concept.rxcui,
  coalesce(rxnorm.name, site_concept.description, site.description) as drug_name,
  rxnorm.ingredient_rxcui,
  rxnorm.ingredient_name,
  case
    when rxnorm.name is not null then 'rxnorm'
    when coalesce(site_concept.description, site.description) is not null then 'site'
  end as origin
from recorded
left join concept using (code_system, code)
left join {{ ref('rxnorm_name') }} as rxnorm using (rxcui)
-- Without RxNorm files the site's own terminology may still name the concept or the code.
left join {{ ref('stg_site_description') }} as site_concept
  on site_concept.code_system = 'RxNorm' and site_concept.lookup_code = concept.rxcui
left join {{ ref('stg_site_description') }} as site
  on site.code_system = recorded.code_system and site.lookup_code = recorded.lookup_code
order by recorded.code_system, recorded.code
