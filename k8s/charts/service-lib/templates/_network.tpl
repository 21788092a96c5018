{{- define "service-lib.networkService" }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "service-lib.metadata" (dict "root" . "component" "web" "name" .Chart.Name) | nindent 2 }}
  {{- with .Values.service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: ClusterIP
  selector:
    {{- include "service-lib.selector" (dict "root" . "component" "web") | nindent 4 }}
  ports:
    - name: http
      port: 8000
      targetPort: http
      protocol: TCP
{{- end }}

{{/* Nobody may call a pod of this chart, unless another policy names who. */}}
{{- define "service-lib.denyIngress" }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "service-lib.metadata" (dict "root" . "component" "all" "name" .Chart.Name) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      app.kubernetes.io/name: {{ .Chart.Name }}
      app.kubernetes.io/part-of: shop
  policyTypes: [Ingress]
{{- end }}

{{/*
(dict "root" $ "component" "web" "port" 8000 "from" $peers). A rule without peers would let everybody in, so without peers
there is no rule.
*/}}
{{- define "service-lib.allowIngress" -}}
{{- if .from }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "service-lib.metadata" (merge (dict "name" (printf "%s-%s" .root.Chart.Name .component)) .) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "service-lib.selector" . | nindent 6 }}
  policyTypes: [Ingress]
  ingress:
    - from:
        {{- toYaml .from | nindent 8 }}
      ports:
        - port: {{ .port }}
          protocol: TCP
{{- end }}
{{- end }}

{{- define "service-lib.networkPolicies" -}}
{{- if .Values.networkPolicy.enabled }}
{{- include "service-lib.denyIngress" . }}
{{- $from := list }}
{{- range .Values.networkPolicy.callers }}
{{- $labels := dict "app.kubernetes.io/name" . "app.kubernetes.io/part-of" "shop" }}
{{- $from = append $from (dict "podSelector" (dict "matchLabels" $labels)) }}
{{- end }}
{{- if .Values.test.enabled }}
{{- $labels := include "service-lib.selector" (dict "root" . "component" "test") | fromYaml }}
{{- $from = append $from (dict "podSelector" (dict "matchLabels" $labels)) }}
{{- end }}
{{- $from = concat $from .Values.networkPolicy.extraFrom .Values.global.metricsFrom }}
{{- include "service-lib.allowIngress" (dict "root" . "component" "web" "port" 8000 "from" $from) }}
{{- include "service-lib.allowIngress" (dict "root" . "component" "events" "port" 8001 "from" .Values.global.metricsFrom) }}
{{- include "service-lib.allowIngress" (dict "root" . "component" "worker" "port" 8002 "from" .Values.global.metricsFrom) }}
{{- end }}
{{- end }}
