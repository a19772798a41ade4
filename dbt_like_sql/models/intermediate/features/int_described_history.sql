{{ config(materialized='ephemeral') }}
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
)
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
where history.kind <> 'lab_result'
