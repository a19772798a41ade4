-- depends_on: {{ ref('int_code_list_events') }}
-- Items found strictly before the index date; whoever has none still has an index, of 0.
with item as (
  select distinct event.patient_id, event.list
  from {{ ref('int_code_list_events') }} as event
  join {{ ref('index_events') }} as index_event using (patient_id)
  where event.kind = 'diagnosis'
    and starts_with(event.list, 'charlson_')
    and event.date < index_event.index_date
),
weight (list, milder_than, original, updated) as (
  values
  {%- for item in charlson_items() %}
    ('charlson_{{ item.name }}', {{ sql_text('charlson_' ~ item.milder_than) if item.milder_than else 'null' }}, {{ item.original }}, {{ item.updated }}){{ "," if not loop.last }}
  {%- endfor %}
),
counted as (
  select item.patient_id, sum(weight.original) as original, sum(weight.updated) as updated
  from item
  join weight using (list)
  left join item as graver
    on graver.patient_id = item.patient_id and graver.list = weight.milder_than
  where graver.list is null
  group by item.patient_id
)
select
  index_event.patient_id,
  cast(coalesce(counted.original, 0) as integer) as charlson_1987,
  cast(coalesce(counted.updated, 0) as integer) as charlson_2011
from {{ ref('index_events') }} as index_event
left join counted using (patient_id)
order by index_event.patient_id
