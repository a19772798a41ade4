-- One RXCUI a code: named in this release before retired, not suppressed before suppressed, RxNorm's own
-- rows before other sources, then the lowest RXCUI. None of it depends on the order of the file.
select
  listed.ndc,
  coalesce(concept.current_rxcui, listed.rxcui) as rxcui,
  coalesce(concept.origin, 'current') as origin
from {{ ref('stg_rxnorm_ndc') }} as listed
left join {{ ref('int_rxnorm_current') }} as concept using (rxcui)
qualify row_number() over (
  partition by listed.ndc
  order by
    case concept.origin when 'current' then 0 when 'archive' then 1 else 2 end,
    listed.suppress <> 'N',
    listed.source <> 'RXNORM',
    {{ rxcui_order('coalesce(concept.current_rxcui, listed.rxcui)') }},
    listed.rxcui
) = 1
order by listed.ndc
