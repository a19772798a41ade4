-- depends_on: {{ ref('int_code_list_events') }} {{ ref('index_events') }}
with event as (
  select cast(null as varchar) as patient_id, cast(null as varchar) as outcome, cast(null as date) as first_date
  where false
  {%- for outcome in var('severe_outcomes') %}
  union all
  select patient_id, {{ sql_text(outcome.name) }}, min(date)
  from ({{ severe_outcome_days(outcome) }})
  group by patient_id
  having count(*) >= {{ outcome.distinct_days }}
  {%- endfor %}
)
select event.patient_id, event.outcome, event.first_date
from event
semi join {{ ref('index_events') }} using (patient_id)
order by event.outcome, event.patient_id
