-- depends_on: {{ source('lake', 'cohort_table') }} {{ ref('int_code_list_events') }} {{ source('lake', 'observation_period') }}
{%- if var('cohort_mode') == 'supplied' %}
select
  supplied.patient_id,
  supplied.index_date,
  coalesce(
    supplied.age_at_index, cast(year(supplied.index_date) - supplied.year_of_birth as double)
  ) as age_at_index,
  supplied.sex,
  coalesce(supplied.first_record_date, span.first_record_date) as first_record_date,
  coalesce(supplied.last_record_date, span.last_record_date) as last_record_date,
  supplied.outcome_date,
  patient.death_date
from {{ source('lake', 'cohort_table') }} as supplied
left join {{ ref('int_patient_span') }} as span using (patient_id)
left join {{ source('lake', 'patient') }} as patient using (patient_id)
where supplied.index_date is not null
order by supplied.patient_id
{%- else %}
{%- set rule = var('index_event') %}
with first_match as (
  select patient_id, min(date) as index_date
  from {{ ref('int_code_list_events') }}
  where list = {{ sql_text(rule.code_list) }}
    and kind in {{ sql_list(rule.kinds) }}
    {%- if has_values(rule) %}
    and (kind <> 'lab_result' or {{ matches_by_number(rule) }} or {{ matches_by_word(rule) }})
    {%- endif %}
  group by patient_id
),
-- Where the source states periods of observation, the one around the index date is the history and the
-- follow-up: records before or after it say nothing about the days between.
period as (
  select
    first_match.patient_id,
    min(stated.start_date) as first_date,
    max(coalesce(stated.end_date, span.last_record_date)) as last_date
  from first_match
  join {{ source('lake', 'observation_period') }} as stated
    on stated.patient_id = first_match.patient_id
    and stated.start_date <= first_match.index_date
    and coalesce(stated.end_date >= first_match.index_date, true)
  left join {{ ref('int_patient_span') }} as span on span.patient_id = first_match.patient_id
  group by first_match.patient_id
),
states_periods as (
  select count(*) > 0 as stated from {{ source('lake', 'observation_period') }}
),
outcome as (
  {{ outcome_dates(var('outcome'), 'first_match') }}
)
select
  first_match.patient_id,
  first_match.index_date,
  cast(year(first_match.index_date) - patient.year_of_birth as double) as age_at_index,
  coalesce(patient.sex, 'U') as sex,
  case when states_periods.stated then period.first_date else span.first_record_date end as first_record_date,
  case when states_periods.stated then period.last_date else span.last_record_date end as last_record_date,
  outcome.outcome_date,
  patient.death_date
from first_match
cross join states_periods
left join {{ ref('int_patient_span') }} as span using (patient_id)
left join period using (patient_id)
left join outcome using (patient_id)
left join {{ source('lake', 'patient') }} as patient using (patient_id)
order by first_match.patient_id
{%- endif %}
