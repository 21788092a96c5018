{{- define "gateway.env" -}}
{{- $plain := dict
  "ENVIRONMENT" .Values.global.environment
  "OUTPUT_DIR" "/tmp/gateway"
  "GATEWAY_HOST" "0.0.0.0"
  "GATEWAY_PORT" "8080"
  "GATEWAY_ADMIN_HOST" "0.0.0.0"
  "GATEWAY_ADMIN_PORT" "8081"
  "GATEWAY_SHUTDOWN_SECONDS" .Values.shutdownSeconds
  "PUBLIC_BASE_URL" .Values.global.publicBaseUrl
  "STOREFRONT_URL" .Values.global.storefrontUrl
  "JWT_ISSUER" .Values.global.jwt.issuer
  "JWT_AUDIENCE" .Values.global.jwt.audience
  "LOG_LEVEL" .Values.global.logLevel
  "SERVICE_VERSION" (include "service-lib.version" .)
  "REDIS_HOST" .Values.redis.host
  "REDIS_PORT" .Values.redis.port
  "REDIS_USER" .Values.redis.user
  "MEDIA_ROOT" "/media" }}
{{- $plain = merge $plain (include "service-lib.serviceUrls" . | fromYaml) }}
{{- with .Values.redis.resolver }}
{{- $_ := set $plain "RESOLVER" . }}
{{- end }}
{{- with .Values.trustedProxies }}
{{- $_ := set $plain "TRUSTED_PROXIES" (join "," .) }}
{{- end }}
{{- with .Values.corsOrigins }}
{{- $_ := set $plain "CORS_ORIGINS" (join "," .) }}
{{- end }}
{{- with .Values.dev.mailWebUrl }}
{{- $_ := set $plain "MAIL_WEB_URL" . }}
{{- end }}
{{- with .Values.dev.sandboxUrl }}
{{- $_ := set $plain "SANDBOX_URL" . }}
{{- end }}
{{- range $name, $value := .Values.limits }}
{{- $_ := set $plain (printf "GATEWAY_LIMIT_%s" (upper $name)) $value }}
{{- end }}
{{- range $name, $value := .Values.settings }}
{{- $_ := set $plain $name $value }}
{{- end }}
{{- range $name, $value := $plain }}
- name: {{ $name }}
  value: {{ include "service-lib.text" $value | quote }}
{{- end }}
- name: REDIS_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ .Values.redis.secret.name }}
      key: {{ .Values.redis.secret.key }}
{{- end }}

{{- define "gateway.deployment" -}}
{{- $component := dict "root" . "component" "gateway" "name" .Chart.Name }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "service-lib.metadata" $component | nindent 2 }}
spec:
  {{- if not .Values.autoscaling.enabled }}
  replicas: {{ int64 .Values.replicas }}
  {{- end }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxUnavailable: 0
      maxSurge: 1
  revisionHistoryLimit: 5
  selector:
    matchLabels:
      {{- include "service-lib.selector" $component | nindent 6 }}
  template:
    metadata:
      {{- include "service-lib.podAnnotations" (dict "root" . "port" 8081) | nindent 6 }}
      labels:
        {{- with .Values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- include "service-lib.labels" $component | nindent 8 }}
    spec:
      serviceAccountName: {{ include "service-lib.serviceAccountName" . }}
      {{- include "service-lib.podSettings" $component | nindent 6 }}
      {{- include "service-lib.topologySpread" $component | nindent 6 }}
      terminationGracePeriodSeconds: {{ add .Values.shutdownSeconds 15 }}
      containers:
        - name: gateway
          {{- include "service-lib.containerSettings" . | nindent 10 }}
          env:
            {{- include "gateway.env" . | nindent 12 }}
          ports:
            - name: http
              containerPort: 8080
              protocol: TCP
            - name: admin
              containerPort: 8081
              protocol: TCP
          startupProbe:
            httpGet:
              path: /healthz
              port: http
            periodSeconds: 1
            failureThreshold: 60
          livenessProbe:
            httpGet:
              path: /healthz
              port: admin
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          {{- /* Not /readyz: one service that is away must not take the gateway away from all others. */}}
          readinessProbe:
            httpGet:
              path: /healthz
              port: http
            periodSeconds: 5
            timeoutSeconds: 3
            failureThreshold: 3
          lifecycle:
            preStop:
              exec:
                {{- /* Until every proxy knows that this pod leaves, it goes on answering; then SIGQUIT, since SIGTERM, which
                       follows, drops what still runs. */}}
                command: [sh, -c, "sleep 5; kill -QUIT 1; while kill -0 1; do sleep 1; done"]
          resources:
            {{- toYaml .Values.resources | nindent 12 }}
          volumeMounts:
            - name: tmp
              mountPath: /tmp
            - name: media
              mountPath: /media
              readOnly: true
      volumes:
        {{- include "service-lib.tmpVolume" . | nindent 8 }}
        - name: media
          {{- if .Values.media.existingClaim }}
          persistentVolumeClaim:
            claimName: {{ .Values.media.existingClaim }}
            readOnly: true
          {{- else }}
          emptyDir: {}
          {{- end }}
{{- end }}

{{- define "gateway.service" }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "service-lib.metadata" (dict "root" . "component" "gateway" "name" .Chart.Name) | nindent 2 }}
  {{- with .Values.service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .Values.service.type }}
  {{- with .Values.service.externalTrafficPolicy }}
  externalTrafficPolicy: {{ . }}
  {{- end }}
  {{- with .Values.service.loadBalancerSourceRanges }}
  loadBalancerSourceRanges:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  selector:
    {{- include "service-lib.selector" (dict "root" . "component" "gateway") | nindent 4 }}
  ports:
    - name: http
      port: {{ int64 .Values.service.port }}
      targetPort: http
      protocol: TCP
      {{- with .Values.service.nodePort }}
      nodePort: {{ int64 . }}
      {{- end }}
{{- end }}

{{- define "gateway.ingress" -}}
{{- with .Values.ingress }}
{{- if .enabled }}
{{- $host := .host | default (get (urlParse $.Values.global.publicBaseUrl) "hostname") }}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  {{- include "service-lib.metadata" (dict "root" $ "component" "gateway" "name" $.Chart.Name) | nindent 2 }}
  {{- with .annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with .className }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- with .tlsSecret }}
  tls:
    - secretName: {{ . }}
      hosts:
        - {{ $host }}
  {{- end }}
  rules:
    - host: {{ $host }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: {{ $.Chart.Name }}
                port:
                  name: http
{{- end }}
{{- end }}
{{- end }}

{{/* The door is open to everybody; metrics only to those who are named. */}}
{{- define "gateway.networkPolicies" -}}
{{- if .Values.networkPolicy.enabled }}
{{- include "service-lib.denyIngress" . }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "service-lib.metadata" (dict "root" . "component" "gateway" "name" (printf "%s-door" .Chart.Name)) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "service-lib.selector" (dict "root" . "component" "gateway") | nindent 6 }}
  policyTypes: [Ingress]
  ingress:
    - ports:
        - port: 8080
          protocol: TCP
      {{- with .Values.networkPolicy.extraFrom }}
      from:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    {{- with .Values.global.metricsFrom }}
    - ports:
        - port: 8081
          protocol: TCP
      from:
        {{- toYaml . | nindent 8 }}
    {{- end }}
{{- end }}
{{- end }}

{{/* The image has no HTTP client; bash opens the connection itself. The answer has a line for each service. */}}
{{- define "gateway.test" -}}
exec 3<>/dev/tcp/{{ .Chart.Name }}/{{ int64 .Values.service.port }} || exit 1
printf 'GET /readyz HTTP/1.0\r\nHost: {{ .Chart.Name }}\r\n\r\n' >&3
answer=$(cat <&3)
echo "$answer"
[[ $answer == "HTTP/1.1 200 "* ]]
{{- end }}
