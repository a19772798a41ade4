-- The present of these patients is the end of the data, so every exclusion known by then counts.
select patient_id, index_date, age_at_index, sex
from {{ ref('int_eligibility') }}
where coalesce(removed_by, 'follow_up') = 'follow_up'
  and label is null
  and outcome_date is null
  and death_date is null
  and len(excluded_ever) = 0
  {%- if var('require_minimum_records') %}
  and enough_records
  {%- endif %}
order by patient_id
