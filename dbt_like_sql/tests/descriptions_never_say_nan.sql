{{ config(meta={'dagster': {'ref': {'name': 'code_description'}}}) }}
select code
from {{ ref('code_description') }}
where not {{ is_meaningful('description') }}
