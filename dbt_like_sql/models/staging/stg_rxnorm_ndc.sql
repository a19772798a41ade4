select *
from (
  select {{ ndc_eleven('value') }} as ndc, rxcui, source, coalesce(suppress, 'N') as suppress
  from {{ source('lake', 'rxnsat') }}
  where attribute = 'NDC' and rxcui is not null
)
where ndc is not null
