{{/*
Names and labels. Names do not depend on the release, because services call each other by them: one shop a namespace.
Selectors hold no release either, so that a service can move from the umbrella to a release of its own.

A component is (dict "root" $ "component" "web").
*/}}

{{- define "service-lib.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/part-of: shop
{{- end }}

{{- define "service-lib.labels" -}}
{{ include "service-lib.selector" . }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/version: {{ include "service-lib.version" .root | trunc 63 | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 }}
{{- end }}

{{- define "service-lib.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "service-lib.labels" . | nindent 2 }}
{{- end }}

{{- define "service-lib.version" -}}
{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "service-lib.image" -}}
{{- $registry := .Values.global.image.registry | trimSuffix "/" }}
{{- $repository := .Values.image.repository | default (printf "shop/%s" .Chart.Name) }}
{{- $name := ternary (printf "%s/%s" $registry $repository) $repository (ne $registry "") }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" $name .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" $name (include "service-lib.version" .) }}
{{- end }}
{{- end }}

{{- define "service-lib.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default .Chart.Name }}
{{- else }}
{{- .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{/* A value as the text of an environment variable: Helm's numbers are floats, and 2592000 must not become 2.592e+06. */}}
{{- define "service-lib.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) }}
{{- int64 . }}
{{- else }}
{{- toString . }}
{{- end }}
{{- end }}

{{/* The SVC_*_URL of all services, as a YAML mapping. */}}
{{- define "service-lib.serviceUrls" -}}
{{- range $name := list "svc-accounts" "svc-cart" "svc-catalog" "svc-notifications" "svc-orders" "svc-payments" }}
{{ $name | upper | replace "-" "_" }}_URL: {{ index $.Values.global.serviceUrls $name | default (printf "http://%s:8000" $name) | quote }}
{{- end }}
{{- end }}

{{/* Kubernetes before 1.21 and 1.23 knows these kinds by older versions. */}}
{{- define "service-lib.policyApiVersion" -}}
{{ ternary "policy/v1" "policy/v1beta1" (semverCompare ">=1.21-0" .Capabilities.KubeVersion.Version) }}
{{- end }}

{{- define "service-lib.autoscalingApiVersion" -}}
{{ ternary "autoscaling/v2" "autoscaling/v2beta2" (semverCompare ">=1.23-0" .Capabilities.KubeVersion.Version) }}
{{- end }}
