{#- Rows whose key, the columns together, stands more than once. -#}
{% test unique_together(model, columns) %}
select {{ columns | join(', ') }}
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}

{#- Rows that lack a value which every row must have. One test a table: a test a column costs 20 ms each. -#}
{% test complete(model, columns) %}
select 1
from {{ model }}
where {% for column in columns %}{{ column }} is null{{ " or " if not loop.last }}{% endfor %}
{% endtest %}
