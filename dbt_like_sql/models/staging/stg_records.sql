{%- for kind in ['diagnosis', 'procedure', 'medication', 'lab_result'] %}
select
  patient_id,
  '{{ kind }}' as kind,
  date,
  code_system,
  code,
  source_row,
  {% if kind == 'lab_result' -%}
  value_number, value_text, unit, said_number, comparator, word
  {%- else -%}
  cast(null as double) as value_number, cast(null as varchar) as value_text, cast(null as varchar) as unit,
  cast(null as double) as said_number, cast(null as varchar) as comparator, cast(null as varchar) as word
  {%- endif %}
from {{ source('lake', kind) }}
{{ "union all" if not loop.last }}
{%- endfor %}
