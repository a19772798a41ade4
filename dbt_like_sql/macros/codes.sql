{#- How codes are written so that two spellings of one code are equal. -#}

{#-
  A drug code without leading zeros, as a spreadsheet leaves it, gets them back: the shortest has 7 digits.
  Modifiers say how a service was done, not which it was: G0439-59 is G0439. `comparable_code` in
  learn_assets/vocabulary/code_lists.py says the same.
-#}
{%- macro comparable_code(code_system, code) -%}
  {%- set text = "upper(trim(" ~ code ~ "))" -%}
  case
    when {{ code_system }} like 'ICD-%' then replace({{ text }}, '.', '')
    when {{ code_system }} in ('CPT', 'HCPCS') then regexp_replace(
      {{ whole_number(text) }}, '^([0-9A-Z]{5})(?:[-: ,][0-9A-Z]{2})+$', '\1'
    )
    when {{ code_system }} = 'NDC' then case
      when regexp_full_match({{ whole_number(text) }}, '[0-9]{7,9}') then lpad({{ whole_number(text) }}, 11, '0')
      else {{ whole_number(text) }}
    end
    when {{ code_system }} in ('RxNorm', 'SNOMED') then {{ whole_number(text) }}
    else {{ text }}
  end
{%- endmacro -%}

{#- A number without the `.0` of a float. -#}
{%- macro whole_number(text) -%}
  regexp_replace({{ text }}, '^([0-9]+)\.0+$', '\1')
{%- endmacro -%}

{#-
  National drug code as 11 digits, or null when the text is not one or is ambiguous.
  Dashed 4-4-2, 5-3-2, 5-4-1 and 5-4-2: each segment is padded to 5-4-2. Some sources write 6-4-2 or 12
  digits with a leading zero, and `*` for a padding zero. Ten digits without dashes fit three of
  these forms: see `ndc_candidates`.
-#}
{%- macro ndc_eleven(value) -%}
  {%- set text = whole_number("replace(replace(trim(" ~ value ~ "), '*', '0'), ' ', '')") -%}
  case
    when regexp_full_match({{ text }}, '[0-9]{11}') then {{ text }}
    when regexp_full_match({{ text }}, '0[0-9]{11}') then substr({{ text }}, 2)
    when regexp_full_match({{ text }}, '0?[0-9]{4,5}-[0-9]{3,4}-[0-9]{1,2}')
      and length(regexp_replace({{ text }}, '^0([0-9]{5}-)', '\1')) in (12, 13)
    then lpad(split_part(regexp_replace({{ text }}, '^0([0-9]{5}-)', '\1'), '-', 1), 5, '0')
      || lpad(split_part({{ text }}, '-', 2), 4, '0')
      || lpad(split_part({{ text }}, '-', 3), 2, '0')
  end
{%- endmacro -%}

{#-
  Every 11-digit form a national drug code may stand for: one, or three for ten bare digits. Seven to nine
  are ten or eleven that have lost leading zeros.
-#}
{%- macro ndc_candidates(value) -%}
  {%- set text = whole_number("replace(trim(" ~ value ~ "), ' ', '')") -%}
  {%- set ten = "lpad(" ~ text ~ ", 10, '0')" -%}
  case
    when regexp_full_match({{ text }}, '[0-9]{7,10}') then [
      '0' || {{ ten }},
      substr({{ ten }}, 1, 5) || '0' || substr({{ ten }}, 6),
      substr({{ ten }}, 1, 9) || '0' || substr({{ ten }}, 10)
    ]
    else [{{ ndc_eleven(value) }}]
  end
{%- endmacro -%}

{#- A text that says nothing, such as the `nan` of a missing value written out. -#}
{%- macro is_meaningful(text) -%}
  lower(trim({{ text }})) not in ('', 'nan', 'null', 'none', '<na>')
{%- endmacro -%}

{#- ICD category: 3 characters, 4 for the external causes (E codes) of ICD-9-CM. -#}
{%- macro icd_category(code_system, lookup_code) -%}
  case
    when {{ code_system }} = 'ICD-9-CM' and {{ lookup_code }} like 'E%' then left({{ lookup_code }}, 4)
    when {{ code_system }} in ('ICD-9-CM', 'ICD-10-CM') then left({{ lookup_code }}, 3)
    else {{ lookup_code }}
  end
{%- endmacro -%}

{#- RXCUIs are numbers as text: compare them as numbers, and as text when one is not. -#}
{%- macro rxcui_order(rxcui) -%}
  try_cast({{ rxcui }} as bigint) nulls last, {{ rxcui }}
{%- endmacro -%}

{%- macro sql_list(values) -%}
  ({%- for value in values %}{{ sql_text(value) }}{{ ", " if not loop.last }}{% else %}null{% endfor -%})
{%- endmacro -%}
