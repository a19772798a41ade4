-- depends_on: {{ source('lake', 'cohort_table') }} {{ ref('int_code_list_events') }}
with event as (
  select cast(null as varchar) as patient_id, cast(null as varchar) as exclusion, cast(null as date) as first_date
  where false
  {%- for exclusion in var('exclusions') %}
  {%- set column = supplied_exclusions().get(exclusion.name) if var('cohort_mode') == 'supplied' %}
  union all
  {%- if column %}
  select
    supplied.patient_id,
    {{ sql_text(exclusion.name) }},
    {% if column.date -%} {{ column.date }}
    {%- elif exclusion.code_list -%} coded.first_date
    {%- else -%} null {%- endif %}
  from {{ source('lake', 'cohort_table') }} as supplied
  {%- if exclusion.code_list and not column.date %}
  -- The table flags who; the records of those patients say since when.
  left join ({{ confirmed_dates(exclusion) }}) as coded using (patient_id)
  {%- endif %}
  where {{ column.flag }}
  {%- else %}
  select patient_id, {{ sql_text(exclusion.name) }}, first_date
  from ({{ confirmed_dates(exclusion) }})
  {%- endif %}
  {%- endfor %}
)
select event.patient_id, event.exclusion, event.first_date
from event
semi join {{ ref('index_events') }} using (patient_id)
order by event.exclusion, event.patient_id
