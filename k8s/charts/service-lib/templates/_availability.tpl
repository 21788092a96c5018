{{/* (dict "root" $ "component" "web" "name" "svc-orders-web" "config" $.Values.web); `name` is that of the Deployment. */}}

{{- define "service-lib.autoscaler" -}}
{{- with .config.autoscaling }}
{{- if .enabled }}
---
apiVersion: {{ include "service-lib.autoscalingApiVersion" $.root }}
kind: HorizontalPodAutoscaler
metadata:
  {{- include "service-lib.metadata" $ | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ $.name }}
  minReplicas: {{ int64 .minReplicas }}
  maxReplicas: {{ int64 .maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: {{ int64 .targetCPUUtilizationPercentage }}
{{- end }}
{{- end }}
{{- end }}

{{- define "service-lib.disruptionBudget" -}}
{{- with .config.podDisruptionBudget }}
{{- if .enabled }}
---
apiVersion: {{ include "service-lib.policyApiVersion" $.root }}
kind: PodDisruptionBudget
metadata:
  {{- include "service-lib.metadata" $ | nindent 2 }}
spec:
  maxUnavailable: {{ include "service-lib.text" .maxUnavailable }}
  selector:
    matchLabels:
      {{- include "service-lib.selector" $ | nindent 6 }}
{{- end }}
{{- end }}
{{- end }}
