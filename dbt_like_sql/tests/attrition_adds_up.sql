{{ config(meta={'dagster': {'ref': {'name': 'attrition'}}}) }}
select step
from (
  select
    step,
    remaining,
    removed,
    lag(remaining) over (order by step) as before,
    row_number() over (order by step desc) = 1 as is_last
  from {{ ref('attrition') }}
)
where remaining <> coalesce(before, (select count(*) from {{ ref('index_events') }})) - removed
  or (is_last and remaining <> (select count(*) from {{ ref('cohort') }}))
