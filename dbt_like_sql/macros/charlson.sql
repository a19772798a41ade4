{#-
  Items of the Charlson index with their weights: original of Charlson et al. 1987, updated of Quan et
  al. 2011. An item does not count beside the graver form of the same disease (`milder_than`). The
  rheumatic item is left out: it holds lupus codes.
-#}
{%- macro charlson_items() -%}
  {{- return([
    {'name': 'myocardial_infarction', 'milder_than': none, 'original': 1, 'updated': 0},
    {'name': 'congestive_heart_failure', 'milder_than': none, 'original': 1, 'updated': 2},
    {'name': 'peripheral_vascular_disease', 'milder_than': none, 'original': 1, 'updated': 0},
    {'name': 'cerebrovascular_disease', 'milder_than': none, 'original': 1, 'updated': 0},
    {'name': 'dementia', 'milder_than': none, 'original': 1, 'updated': 2},
    {'name': 'chronic_pulmonary_disease', 'milder_than': none, 'original': 1, 'updated': 1},
    {'name': 'peptic_ulcer_disease', 'milder_than': none, 'original': 1, 'updated': 0},
    {'name': 'mild_liver_disease', 'milder_than': 'moderate_or_severe_liver_disease', 'original': 1, 'updated': 2},
    {'name': 'diabetes_without_complication', 'milder_than': 'diabetes_with_complication', 'original': 1, 'updated': 0},
    {'name': 'diabetes_with_complication', 'milder_than': none, 'original': 2, 'updated': 1},
    {'name': 'hemiplegia_or_paraplegia', 'milder_than': none, 'original': 2, 'updated': 2},
    {'name': 'renal_disease', 'milder_than': none, 'original': 2, 'updated': 1},
    {'name': 'malignancy', 'milder_than': 'metastatic_solid_tumor', 'original': 2, 'updated': 2},
    {'name': 'moderate_or_severe_liver_disease', 'milder_than': none, 'original': 3, 'updated': 4},
    {'name': 'metastatic_solid_tumor', 'milder_than': none, 'original': 6, 'updated': 6},
    {'name': 'aids', 'milder_than': none, 'original': 6, 'updated': 4}
  ]) -}}
{%- endmacro -%}
