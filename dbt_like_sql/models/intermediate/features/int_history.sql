{{ config(materialized='ephemeral') }}
-- depends_on: {{ ref('int_listed_codes') }}
select
  record.patient_id,
  record.kind,
  record.date,
  date_diff('day', record.date, index_event.index_date) as days_before,
  record.code_system,
  record.code,
  record.source_row,
  record.value_number,
  record.unit
from {{ ref('stg_records') }} as record
join {{ ref('index_events') }} as index_event using (patient_id)
{%- if var('cohort_mode') == 'derived' %}
-- Outcome codes before the index date are part of the outcome's own definition: who has one and stays
-- eligible needs fewer later ones (prospective) or can never become a case (published). As features they
-- would name the label, whichever kind of record carries them.
anti join (
  select distinct kind, code_system, code
  from {{ ref('int_listed_codes') }}
  where list = {{ sql_text(var('outcome').code_list) }}
) as outcome_code using (kind, code_system, code)
{%- endif %}
where record.date < index_event.index_date
