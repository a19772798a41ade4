-- Every patient with an index event stands against every severe outcome of the study.
with outcome (outcome) as (
  select cast(null as varchar) where false
  {%- for outcome in var('severe_outcomes') %}
  union all
  select {{ sql_text(outcome.name) }}
  {%- endfor %}
),
followed as (
  select
    index_event.patient_id,
    outcome.outcome,
    index_event.index_date,
    event.first_date,
    index_event.death_date,
    -- Bills that follow a death are no observation of the living.
    coalesce(index_event.death_date, index_event.last_record_date, index_event.index_date) as last_date
  from {{ ref('index_events') }} as index_event
  cross join outcome
  left join {{ ref('severe_outcome_events') }} as event
    on event.patient_id = index_event.patient_id and event.outcome = outcome.outcome
)
select
  patient_id,
  outcome,
  coalesce(first_date <= index_date, false) as prevalent,
  cast(greatest(
    date_diff('day', index_date, case when first_date <= last_date then first_date else last_date end), 0
  ) as integer) as days,
  case
    when first_date <= last_date then 'event'
    when death_date is not null then 'death'
    else 'censored'
  end as status
from followed
order by outcome, patient_id
