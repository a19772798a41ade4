{%- set order, dates = var('narrative_order'), var('narrative_dates') -%}
{%- set stamp = {
  'absolute': "'[' || strftime(date, '%Y-%m-%d') || '] - '",
  'relative': "'[' || days_before || ' days before] - '",
  'none': "''",
}[dates] -%}
-- depends_on: {{ ref('int_recorded_codes') }} {{ ref('index_events') }}
with described as (
  select * from {{ ref('int_described_history') }} where {{ in_bucket('patient_id') }}
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
