{{ config(materialized='ephemeral') }}
{%- set bp, fup, minimum = var('buffer_period'), var('follow_up_period'), var('minimum_records') %}
with measured as (
  select
    index_event.*,
    date_diff('day', index_date, outcome_date) as days_to_outcome,
    date_diff('day', index_date, last_record_date) as days_observed,
    date_diff('day', first_record_date, index_date) as days_in_system,
    coalesce(total.diagnosis, 0) >= {{ minimum.diagnosis }}
      and coalesce(total.procedure, 0) >= {{ minimum.procedure }}
      and coalesce(total.medication, 0) >= {{ minimum.medication }} as enough_records
  from {{ ref('index_events') }} as index_event
  left join {{ ref('int_record_totals') }} as total using (patient_id)
),
excluded as (
  select
    event.patient_id,
    list(event.exclusion) as excluded_ever,
    list(event.exclusion) filter (event.first_date <= index_event.index_date) as excluded_at_index
  from {{ ref('exclusion_events') }} as event
  join {{ ref('index_events') }} as index_event using (patient_id)
  group by event.patient_id
),
judged as (
  select
    measured.*,
    coalesce(excluded.excluded_ever, []) as excluded_ever,
    coalesce(excluded.excluded_at_index, []) as excluded_at_index,
    cast(case
      when days_to_outcome > {{ bp }} and days_to_outcome <= {{ fup }} then 1
      when days_to_outcome > {{ fup }} then 0
      when days_to_outcome is null and days_observed > {{ fup }} then 0
    end as tinyint) as label
  from measured
  left join excluded using (patient_id)
)
select
  *,
  case
    {%- for rule in eligibility_rules() %}
    when {{ rule.removes }} then {{ sql_text(rule.name) }}
    {%- endfor %}
  end as removed_by
from judged
