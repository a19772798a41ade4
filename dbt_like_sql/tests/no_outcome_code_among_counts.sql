{{ config(meta={'dagster': {'ref': {'name': 'int_event_counts'}}}) }}
-- depends_on: {{ ref('int_listed_codes') }} {{ ref('int_recorded_codes') }}
{%- if var('cohort_mode') == 'derived' and not var('roll_up_icd') %}
select counted.feature
from {{ ref('int_event_counts') }} as counted
semi join (
  select recorded.kind || '|' || recorded.code_system || '|' || recorded.lookup_code as feature
  from {{ ref('int_listed_codes') }} as listed
  join {{ ref('int_recorded_codes') }} as recorded using (kind, code_system, code)
  where listed.list = {{ sql_text(var('outcome').code_list) }}
) as outcome_code
  on counted.feature = outcome_code.feature or starts_with(counted.feature, outcome_code.feature || '|last-')
{%- else %}
select 1 where false
{%- endif %}
