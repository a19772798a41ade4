{%- set order, dates = var('narrative_order'), var('narrative_dates') -%}
{%- set stamp = {
  'absolute': "'[' || strftime(date, '%Y-%m-%d') || '] - '",
  'relative': "'[' || days_before || ' days before] - '",
  'none': "''",
}[dates] -%}
-- depends_on: {{ ref('int_recorded_codes') }} {{ ref('index_events') }}
with name as (
  select kind, code_system, code, description
  from {{ ref('code_description') }}
  where kind <> 'medication'
  union all
  select
    'medication',
    code_system,
    code,
    {{ "coalesce(ingredient_name, drug_name)" if var('medication_name') == 'ingredient' else "drug_name" }}
  from {{ ref('int_medication_code') }}
),
described as (
  select
    history.patient_id,
    history.kind,
    history.date,
    history.days_before,
    history.source_row,
    -- A code nobody can describe stays as a code: silence would hide the record.
    coalesce(name.description, history.code_system || ' ' || history.code) as description
  from {{ ref('int_history') }} as history
  left join name using (kind, code_system, code)
  where history.kind <> 'lab_result' and {{ in_bucket('history.patient_id') }}
),
{%- if order == 'recent_first' %}
item as (
  select
    patient_id,
    kind,
    description,
    max(date) as date,
    min(days_before) as days_before,
    arg_min(source_row, (days_before, source_row)) as source_row,
    count(*) as records
  from described
  group by patient_id, kind, description
),
{%- else %}
item as (
  select *, 1 as records from described
),
{%- endif %}
written as (
  select
    patient_id,
    kind,
    string_agg(
      {{ stamp }} || description, ' | '
      order by date {{ 'desc' if order == 'recent_first' }}, source_row
    ) as text,
    cast(sum(records) as bigint) as records
  from item
  group by patient_id, kind
)
select patient_id, kind, text, records, sha256(text) as text_sha256
from written
order by patient_id, kind
