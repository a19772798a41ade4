with rule (step, name, reason) as (
  values
    (0, 'index_event', 'everyone with an index event')
    {%- for rule in eligibility_rules() %},
    ({{ loop.index }}, {{ sql_text(rule.name) }}, {{ sql_text(rule.reason) }})
    {%- endfor %}
),
removal as (
  select removed_by as name, count(*) as removed
  from {{ ref('int_eligibility') }}
  where removed_by is not null
  group by removed_by
),
start as (
  select count(*) as patients from {{ ref('index_events') }}
)
select
  cast(rule.step as integer) as step,
  rule.name,
  rule.reason,
  cast(start.patients - sum(coalesce(removal.removed, 0)) over (order by rule.step) as bigint) as remaining,
  cast(coalesce(removal.removed, 0) as bigint) as removed
from rule
cross join start
left join removal using (name)
order by rule.step
