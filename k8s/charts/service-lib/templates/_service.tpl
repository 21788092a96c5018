{{/* Everything of one service: the only thing that its chart includes. */}}
{{- define "service-lib.service" -}}
{{- $root := . }}
{{- include "service-lib.serviceAccount" . }}
{{- include "service-lib.migration" . }}
{{- range $component := list "web" "events" "worker" "beat" }}
{{- $it := dict "root" $root "component" $component }}
{{- include "service-lib.deployment" $it }}
{{- if ne $component "beat" }}
{{- $it = merge (dict "name" (printf "%s-%s" $root.Chart.Name $component) "config" (index $root.Values $component)) $it }}
{{- include "service-lib.autoscaler" $it }}
{{- include "service-lib.disruptionBudget" $it }}
{{- end }}
{{- end }}
{{- include "service-lib.networkService" . }}
{{- include "service-lib.networkPolicies" . }}
{{- include "service-lib.mediaClaim" . }}
{{- $ask := printf "import urllib.request as r; print(r.urlopen('http://%s:8000/readyz', timeout=20).read().decode())" .Chart.Name }}
{{- include "service-lib.test" (dict "root" . "command" (list "python" "-c" $ask)) }}
{{- end }}

{{- define "service-lib.notes" -}}
{{ .Chart.Name }} {{ include "service-lib.version" . }} runs in {{ .Release.Namespace }} as web, events, worker and beat.
Other pods of the shop reach it at http://{{ .Chart.Name }}:8000.

    helm test {{ .Release.Name }} --namespace {{ .Release.Namespace }}
{{- end }}
