-- depends_on: {{ ref('index_events') }} {{ ref('int_code_list_events') }}
{%- if var('cohort_mode') == 'supplied' %}
select patient_id, outcome_date as confirmed_date
from {{ ref('index_events') }}
where outcome_date is not null
order by patient_id
{%- else %}
select confirmed.patient_id, confirmed.first_date as confirmed_date
from ({{ confirmed_dates(var('outcome')) }}) as confirmed
semi join {{ ref('index_events') }} using (patient_id)
order by confirmed.patient_id
{%- endif %}
