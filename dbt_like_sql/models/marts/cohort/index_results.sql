-- depends_on: {{ ref('int_code_list_events') }}
-- How the rule of the index event read the results of its own test. Texts that no rule matches are listed, so
-- that a positive result in other words is seen.
{%- set rule = var('index_event') %}
{%- if var('cohort_mode') == 'derived' and 'lab_result' in rule.kinds and has_values(rule) %}
with read as (
  select
    patient_id,
    case when {{ matches_by_number(rule) }} then 'number' when {{ matches_by_word(rule) }} then 'word' else 'none' end
      as matched,
    coalesce(lower(trim(value_text)), cast(value_number as varchar)) as text
  from {{ ref('int_code_list_events') }}
  where list = {{ sql_text(rule.code_list) }} and kind = 'lab_result'
)
select
  matched,
  case when matched = 'none' then text end as text,
  count(*) as results,
  count(distinct patient_id) as patients
from read
group by 1, 2
order by matched, results desc, text
{%- else %}
select
  cast(null as varchar) as matched,
  cast(null as varchar) as text,
  cast(null as bigint) as results,
  cast(null as bigint) as patients
where false
{%- endif %}
