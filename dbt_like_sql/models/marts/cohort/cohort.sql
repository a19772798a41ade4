select
  patient_id,
  label,
  index_date,
  age_at_index,
  sex,
  -- Without an outcome the patient is observed until death or the last record.
  cast(greatest(
    coalesce(days_to_outcome, date_diff('day', index_date, death_date), days_observed), 0
  ) as integer) as time_to_event_days,
  outcome_date is not null as event_observed,
  enough_records
from {{ ref('int_eligibility') }}
where removed_by is null
order by patient_id
