{#- The study's rules as SQL: who has which condition since when, and who is eligible in which order. -#}

{#- The distinct days on which each patient has a record of a rule (code_list, kinds). -#}
{%- macro rule_days(rule) -%}
  select distinct patient_id, date
  from {{ ref('int_code_list_events') }}
  where list = {{ sql_text(rule.code_list) }} and kind in {{ sql_list(rule.kinds) }}
{%- endmacro -%}

{#- Says whether a rule tests the value of laboratory results. -#}
{%- macro has_values(rule) -%}
  {{- return(rule.value_text or rule.value_at_least is not none) -}}
{%- endmacro -%}

{#- The number of a result is large enough; "<80" is no 80, and "more than 80" is. -#}
{%- macro matches_by_number(rule) -%}
  {%- if rule.value_at_least is none -%} false
  {%- else -%}
  coalesce(
    (not isnan(value_number) and value_number >= {{ rule.value_at_least }})
    or (said_number >= {{ rule.value_at_least }} and coalesce(comparator, '=') not in ('<', '<=')),
    false
  )
  {%- endif -%}
{%- endmacro -%}

{#- The text as a whole, or what it says besides a number, is one that counts. -#}
{%- macro matches_by_word(rule) -%}
  {%- set words = sql_list(rule.value_text | map('trim') | map('lower') | list) -%}
  coalesce(
    lower(trim(value_text)) in {{ words }}
    or (word in {{ words }} and coalesce(comparator, '=') not in ('<', '<=')),
    false
  )
{%- endmacro -%}

{#-
  Patients who meet a rule on its distinct days, with the day the last record needed was made: nothing
  is known before it.
-#}
{%- macro confirmed_dates(rule) -%}
  select patient_id, list_sort(list(date))[{{ rule.distinct_days }}] as first_date
  from ({{ rule_days(rule) }})
  group by patient_id
  having count(*) >= {{ rule.distinct_days }}
{%- endmacro -%}

{#-
  The distinct days of a severe outcome: its own codes, and, from a condition's first day on, the codes
  that name it only in patients who have the condition. One that recurs counts after the index date only.
-#}
{%- macro severe_outcome_days(outcome) -%}
  select day.patient_id, day.date
  from (
    {{ rule_days(outcome) }}
    {%- if outcome.condition %}
    union
    select event.patient_id, event.date
    from {{ ref('int_code_list_events') }} as event
    join (
      select patient_id, min(date) as since
      from {{ ref('int_code_list_events') }}
      where list = {{ sql_text(outcome.condition) }} and kind in {{ sql_list(outcome.kinds) }}
      group by patient_id
    ) as condition using (patient_id)
    where event.list = {{ sql_text(outcome.conditional_code_list) }}
      and event.kind in {{ sql_list(outcome.kinds) }}
      and event.date >= condition.since
    {%- endif %}
  ) as day
  {%- if outcome.recurs %}
  join {{ ref('index_events') }} as index_event using (patient_id)
  where day.date > index_event.index_date
  {%- endif %}
{%- endmacro -%}

{#-
  The outcome of patients in `index_events` (patient_id, index_date), on the distinct days it asks for.
  Policy published: dated by the first of the days, wherever it lies. Policy prospective: a day after
  the index date says nothing about who is eligible at it, so an outcome that was not complete by then
  is dated by the first day after the index date.
-#}
{%- macro outcome_dates(rule, index_events) -%}
  {%- set first_day = 'min(day.date)' -%}
  {%- set completed = 'list_sort(list(day.date))[' ~ rule.distinct_days ~ ']' -%}
  select
    day.patient_id,
    {% if var('eligibility_policy') == 'published' -%} {{ first_day }}
    {%- else -%}
    case
      when {{ completed }} <= index_event.index_date then {{ first_day }}
      else {{ first_day }} filter (day.date > index_event.index_date)
    end
    {%- endif %} as outcome_date
  from ({{ rule_days(rule) }}) as day
  join {{ index_events }} as index_event using (patient_id)
  group by day.patient_id, index_event.index_date
  having count(*) >= {{ rule.distinct_days }}
{%- endmacro -%}

{#- Exclusions the supplied cohort table has a column for, and whether that column is a date. -#}
{%- macro supplied_exclusions() -%}
  {{- return({
    'other_rheumatic_disease': {
      'flag': 'other_rheumatic_disease_date is not null', 'date': 'other_rheumatic_disease_date'},
    'drug_induced_lupus': {'flag': 'drug_induced_lupus', 'date': none},
    'cancer': {'flag': 'cancer', 'date': none},
  }) -}}
{%- endmacro -%}

{#-
  Eligibility in the order it is applied: name, reason in words and the condition under which a patient
  goes. The condition sees the columns of `judged` in int_eligibility.sql.
-#}
{%- macro eligibility_rules() -%}
  {%- set published = var('eligibility_policy') == 'published' -%}
  {%- set rules = [] -%}
  {%- if published -%}
    {%- do rules.append({
      'name': 'outcome_before_risk_period',
      'reason': 'outcome on or before ' ~ var('buffer_period') ~ ' days after the index date',
      'removes': 'days_to_outcome <= ' ~ var('buffer_period')}) -%}
  {%- else -%}
    {%- do rules.append({
      'name': 'prior_outcome',
      'reason': 'outcome established on or before the index date',
      'removes': 'days_to_outcome <= 0'}) -%}
  {%- endif -%}
  {%- set age = 'age_at_index' if published else 'floor(age_at_index)' -%}
  {%- do rules.append({
    'name': 'age_at_index',
    'reason': 'age at the index date below ' ~ var('minimum_age') ~ ' or above ' ~ var('maximum_age')
      ~ ' years, or unknown',
    'removes': 'age_at_index is null or ' ~ age ~ ' <= ' ~ (var('minimum_age') - 1)
      ~ ' or ' ~ age ~ ' > ' ~ var('maximum_age')}) -%}
  {%- for exclusion in var('exclusions') -%}
    {%- set words = exclusion.name | replace('_', ' ') -%}
    {%- set supplied = supplied_exclusions().get(exclusion.name) if var('cohort_mode') == 'supplied' -%}
    {%- if published -%}
      {%- set reason = words ~ ' at any time' -%}
    {%- elif supplied and not supplied.date and not exclusion.code_list -%}
      {%- set reason = words ~ ': not applied, the extract flags it without a date, so nobody can tell'
        ~ ' whether it was known at the index date' -%}
    {%- else -%}
      {%- set reason = words ~ ' recorded on or before the index date' -%}
    {%- endif -%}
    {%- do rules.append({
      'name': exclusion.name,
      'reason': reason,
      'removes': 'list_contains(' ~ ('excluded_ever' if published else 'excluded_at_index') ~ ', '
        ~ sql_text(exclusion.name) ~ ')'}) -%}
  {%- endfor -%}
  {%- do rules.append({
    'name': 'length_in_system',
    'reason': 'first record later than ' ~ var('length_in_system') ~ ' days before the index date',
    'removes': 'days_in_system is null or days_in_system < ' ~ var('length_in_system')}) -%}
  {%- if published -%}
    {%- do rules.append({
      'name': 'follow_up',
      'reason': 'no outcome, and last record not later than ' ~ var('follow_up_period')
        ~ ' days after the index date',
      'removes': 'label is null'}) -%}
  {%- endif -%}
  {%- if var('require_minimum_records') -%}
    {%- set minimum = var('minimum_records') -%}
    {%- do rules.append({
      'name': 'minimum_records',
      'reason': 'fewer records before the index date than ' ~ minimum.diagnosis ~ ' of diagnosis, '
        ~ minimum.procedure ~ ' of procedure and ' ~ minimum.medication ~ ' of medication',
      'removes': 'not enough_records'}) -%}
  {%- endif -%}
  {{- return(rules) -}}
{%- endmacro -%}
