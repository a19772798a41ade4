{%- set term_types = [
  'PSN', 'SCD', 'SBD', 'GPCK', 'BPCK', 'MIN', 'IN', 'PIN', 'BN', 'SCDC', 'SBDC', 'SCDF', 'SBDF', 'SCDG',
  'SBDG', 'DF', 'DFG', 'SY', 'TMSY', 'ET'
] -%}
with recursive named as (
  select rxcui, name
  from {{ source('lake', 'rxnconso') }}
  where rxcui is not null and {{ is_meaningful('name') }} and coalesce(language, 'ENG') in ('ENG', '')
  qualify row_number() over (
    partition by rxcui
    order by
      coalesce(suppress, 'N') not in ('N', ''),
      source <> 'RXNORM',
      coalesce(list_position({{ term_types }}, term_type), {{ term_types | length + 1 }}),
      source_row,
      name
  ) = 1
),
ingredient as (
  select distinct rxcui, term_type
  from {{ source('lake', 'rxnconso') }}
  where source = 'RXNORM' and term_type in ('IN', 'MIN')
),
-- RXNREL reads from right to left: "rxcui2 has_ingredient rxcui1".
edge as (
  select distinct rxcui2 as rxcui, rxcui1 as part
  from {{ source('lake', 'rxnrel') }}
  where relation in (
    'consists_of', 'contains', 'form_of', 'has_ingredient', 'has_ingredients', 'has_part',
    'has_precise_ingredient', 'tradename_of'
  )
  and rxcui1 <> rxcui2
),
reached as (
  select rxcui, rxcui as part from named
  union
  select reached.rxcui, edge.part
  from reached
  join edge on edge.rxcui = reached.part
),
single as (
  select
    reached.rxcui,
    count(*) as ingredients,
    min(reached.part) as ingredient_rxcui,
    string_agg(named.name, ' / ' order by lower(named.name), named.rxcui) as ingredient_name
  from reached
  join ingredient on ingredient.rxcui = reached.part and ingredient.term_type = 'IN'
  join named on named.rxcui = reached.part
  group by reached.rxcui
),
multiple as (
  select reached.rxcui, reached.part as ingredient_rxcui
  from reached
  join ingredient on ingredient.rxcui = reached.part and ingredient.term_type = 'MIN'
  qualify row_number() over (
    partition by reached.rxcui order by {{ rxcui_order('reached.part') }}
  ) = 1
)
select
  named.rxcui,
  named.name,
  case when single.ingredients = 1 then single.ingredient_rxcui else multiple.ingredient_rxcui end
    as ingredient_rxcui,
  case
    when single.ingredients = 1 then single.ingredient_name
    else coalesce(combination.name, single.ingredient_name)
  end as ingredient_name
from named
left join single using (rxcui)
left join multiple using (rxcui)
left join named as combination on combination.rxcui = multiple.ingredient_rxcui
order by named.rxcui
